export const handler = async () => ({ message: "as it is" });
