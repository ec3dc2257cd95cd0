export async function GET(_request: Request, { params }: { params: Promise<{ id?: string }> }) {
  const { id = "none" } = await params;
  return Response.json({ id });
}
