export default async function handle(request: Request): Promise<Response> {
  return new Response(request.method + " " + (await request.text()));
}
