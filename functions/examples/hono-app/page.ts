import { html } from "hono/html";

/** A page that lists these birds with links to each below `base`. */
export function page(birds: string[], base: string) {
  return html`<!doctype html>
<title>Birds</title>
<ul>
${birds.map((bird) => html`<li><a href="${base}/birds/${bird}">${bird}</a></li>`)}
</ul>`;
}
