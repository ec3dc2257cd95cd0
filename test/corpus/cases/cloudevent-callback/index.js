exports.seen = (cloudEvent, callback) => callback(null, "heard " + cloudEvent.id);
