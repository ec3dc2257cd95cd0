exports.birds = require("./birds.json").length;
