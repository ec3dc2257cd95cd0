exports.handler = (event, context, callback) => {
  const { bucket, object } = event.Records[0].s3;
  callback(null, bucket.name + "/" + decodeURIComponent(object.key.replace(/\+/g, " ")));
};
