export const dynamic = "force-dynamic";

export async function GET(request: Request) {
  const { searchParams } = new URL(request.url);
  return Response.json({ q: searchParams.get("q") });
}

export async function POST(request: Request) {
  const body = await request.json();
  return Response.json({ body }, { status: 201 });
}
