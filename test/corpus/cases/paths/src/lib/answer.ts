export const answer = "by a path";
