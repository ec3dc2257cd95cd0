export default {fetch(r){return new URL(r.url).pathname==="/hello"?new Response("hi"):new Response("nf",{status:404})}}
