export default () => ({ status: 418, headers: { "X-Pot": "tea" }, body: { short: true } });
