const { sum } = await import("./sum.mjs");
const total = await new Promise((resolve) => setTimeout(() => resolve(sum(20, 22)), 1));
export default { fetch: () => new Response(String(total)) };
