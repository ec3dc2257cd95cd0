import { env, waitUntil } from "cloudflare:workers";
const greeting = "Hello, " + env.NAME;
export default {
  fetch() {
    waitUntil(new Promise((resolve) => setTimeout(resolve, 1)));
    return new Response(greeting);
  },
};
