module.exports=(req,res)=>res.end("hi "+req.url)
