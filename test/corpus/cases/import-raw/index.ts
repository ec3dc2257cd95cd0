import text from "./page.tpl?raw";
export default () => text;
