const who = Deno.env.get("WHO") ?? "nobody";
Deno.serve({ port: 8000, hostname: "0.0.0.0" }, async (request, info) => {
  return Response.json({ who, method: request.method, family: info.remoteAddr.transport });
});
