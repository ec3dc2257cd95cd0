module.exports = (req, res) => res.end("hi");
