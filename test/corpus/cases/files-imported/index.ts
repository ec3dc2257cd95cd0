import data from "./data.json";
import words from "./words.txt";
const { birds } = require("./more.cjs");
export default () => ({ ...data, words, birds });
