import { add } from "./add.wasm";
export default () => String(add(40, 2));
