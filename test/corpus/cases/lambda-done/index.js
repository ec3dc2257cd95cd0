exports.handler = function (event, context) { context.done(null, { statusCode: 200, body: "done" }); };
