import m from "./add.wasm";
const { exports: { add } } = new WebAssembly.Instance(m);
export default () => String(add(40, 2));
