exports.handler = function (event, context) { context.fail("no"); };
