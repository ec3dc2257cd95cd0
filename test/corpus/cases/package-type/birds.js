export const bird = "knot";
