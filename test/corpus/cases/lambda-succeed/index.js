exports.handler = function (event, context) {
  process.nextTick(function () { context.succeed({ statusCode: 200, body: "succeeded" }); });
};
