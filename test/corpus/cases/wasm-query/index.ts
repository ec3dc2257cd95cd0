import add from "./add.wasm?module";
export default async () => String((await WebAssembly.instantiate(add)).exports.add(1, 2));
