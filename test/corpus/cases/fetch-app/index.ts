class App {
  #routes = new Map<string, (request: Request) => Response>();
  get(path: string, handler: (request: Request) => Response): this {
    this.#routes.set(path, handler);
    return this;
  }
  fetch(request: Request): Response {
    const path = new URL(request.url).searchParams.get("to") ?? "/";
    return this.#routes.get(path)?.(request) ?? new Response("no route", { status: 404 });
  }
}
const app = new App();
app.get("/birds", () => Response.json(["knot", "dunlin"]));
export default app;
