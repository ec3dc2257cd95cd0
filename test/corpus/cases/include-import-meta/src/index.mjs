import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
const page = readFileSync(new URL("./views/page.html", import.meta.url), "utf8");
export default { async fetch() { return new Response(page + (await readFile(process.cwd() + "/src/views/page.html", "utf8"))); } };
