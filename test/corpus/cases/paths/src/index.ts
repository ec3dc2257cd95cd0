import { answer } from "~/lib/answer";
export default () => answer;
