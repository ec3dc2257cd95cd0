export const handler = async () => new Response("from a class", { status: 203 });
