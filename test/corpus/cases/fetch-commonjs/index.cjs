module.exports = { fetch: () => new Response("common") };
