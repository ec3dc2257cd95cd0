/** Frameworks that build an application and bring the server for it. */
import { type App, postJson } from "../app.ts";

const NITRO_FILES = {
  "nitro.config.mjs": `const dir = process.env.NITRO_OUTPUT; export default { compatibilityDate: "2026-01-01", srcDir: ".", telemetry: false, ...(dir && { output: { dir } }) };`,
  "routes/index.js": `export default defineEventHandler(() => "nitro");`,
  "routes/items/[id].js": `export default defineEventHandler((event) => ({ id: getRouterParam(event, "id") }));`,
  "routes/echo.post.js": "export default defineEventHandler((event) => readBody(event));",
  "routes/moved.js": `export default defineEventHandler((event) => sendRedirect(event, "/items/1"));`,
  "routes/fails.js": `export default defineEventHandler(() => { throw createError({ statusCode: 503, message: "on purpose" }); });`,
};
const NITRO_REQUESTS = [
  ...["/", "/items/42", "/moved", "/fails", "/nowhere"].map((path) => ({ path })),
  { path: "/", method: "HEAD" },
  postJson("/echo", { a: [1] }),
];
/** A page and an API, as a server of the framework's own. */
const SITE = {
  config: { memoryMiB: 256 },
  runs: "server",
  requests: [
    ...["/", "/?name=Ada", "/api", "/nowhere"].map((path) => ({ path })),
    { path: "/", method: "HEAD" },
    postJson("/api", { b: 2 }),
  ],
} satisfies Partial<App>;

/** A preset of Nitro's, beside the same application as a server of Node's. */
const nitro = (preset: string, entry = ".output/server/index.mjs"): App => ({
  name: `nitro-${preset}`,
  packages: ["nitropack@2.13.6"],
  files: NITRO_FILES,
  entry,
  build: [
    { argv: ["nitropack", "build", "--preset", "node-server"], env: { NITRO_OUTPUT: ".plain" } },
    { argv: ["nitropack", "build", "--preset", preset] },
  ],
  config: { memoryMiB: 256 },
  runs: "server",
  plain: ".plain/server/index.mjs",
  requests: NITRO_REQUESTS,
});

export const BUILT: readonly App[] = [
  ...["node-server", "node", "aws-lambda", "cloudflare-module", "bun", "deno-server"].map((preset) => nitro(preset)),
  nitro("vercel", ".vercel/output/functions/__fallback.func/index.mjs"),
  nitro("netlify", ".netlify/functions-internal/server/main.mjs"),
  {
    name: "sveltekit",
    packages: [
      ...["@sveltejs/kit@3.2.0", "@sveltejs/adapter-node@6.0.1", "@sveltejs/vite-plugin-svelte@7.3.1"],
      ...["svelte@5.57.3", "vite@8.4.0"],
    ],
    files: {
      "vite.config.js": `import adapter from "@sveltejs/adapter-node"; import { sveltekit } from "@sveltejs/kit/vite"; export default { plugins: [sveltekit({ adapter: adapter(), csrf: { trustedOrigins: ["*"] } })] };`,
      "src/app.html": `<!doctype html><html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>`,
      "src/routes/+page.server.js": `export const load = ({ url }) => ({ name: url.searchParams.get("name") ?? "nobody" });`,
      "src/routes/+page.svelte": "<script>let { data } = $props();</script><h1>Hello {data.name}</h1>",
      "src/routes/api/+server.js": `import { json } from "@sveltejs/kit"; export const GET = () => json({ a: 1 }); export const POST = async ({ request }) => json(await request.json());`,
    },
    entry: "build/index.js",
    build: [{ argv: ["vite", "build"] }],
    ...SITE,
  },
  {
    name: "astro",
    packages: ["astro@7.3.5", "@astrojs/node@11.1.6"],
    files: {
      "astro.config.mjs": `import node from "@astrojs/node"; export default { output: "server", adapter: node({ mode: "standalone" }), security: { checkOrigin: false } };`,
      "src/pages/index.astro": `---\nconst name = Astro.url.searchParams.get("name") ?? "nobody";\n---\n<html><body><h1>Hello {name}</h1></body></html>`,
      "src/pages/api.js": `export const GET = () => Response.json({ a: 1 }); export const POST = async ({ request }) => Response.json(await request.json());`,
    },
    entry: "dist/server/entry.mjs",
    build: [{ argv: ["astro", "build"], env: { ASTRO_TELEMETRY_DISABLED: "1" } }],
    ...SITE,
  },
  {
    name: "react-router",
    packages: [
      ...["react-router@8.4.0", "@react-router/dev@8.4.0", "@react-router/node@8.4.0", "@react-router/serve@8.4.0"],
      ...["react@19.3.1", "react-dom@19.3.1", "vite@8.4.0", "isbot@5"],
    ],
    files: {
      "vite.config.js": `import { reactRouter } from "@react-router/dev/vite"; export default { plugins: [reactRouter()] };`,
      "react-router.config.js": "export default { ssr: true };",
      "app/routes.js": `import { index, route } from "@react-router/dev/routes"; export default [index("home.jsx"), route("api", "api.js")];`,
      "app/root.jsx": `import { Outlet, Scripts } from "react-router"; export default function App() { return <html lang="en"><body><Outlet /><Scripts /></body></html>; }`,
      "app/home.jsx": `export const loader = ({ request }) => ({ name: new URL(request.url).searchParams.get("name") ?? "nobody" }); export default function Home({ loaderData }) { return <h1>Hello {loaderData.name}</h1>; }`,
      "app/api.js":
        "export const loader = () => Response.json({ a: 1 }); export const action = async ({ request }) => Response.json(await request.json());",
      "server.mjs": `import { createServer } from "node:http"; import { createRequestListener } from "@react-router/node"; import * as build from "./build/server/index.js"; createServer(createRequestListener({ build })).listen(process.env.PORT);`,
    },
    entry: "server.mjs",
    build: [{ argv: ["react-router", "build"] }],
    ...SITE,
  },
];
