import x from "https://deno.land/x/some/mod.ts";
export default () => x;
