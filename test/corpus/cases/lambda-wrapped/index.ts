const wrap = (inner: (event: unknown) => Promise<unknown>) => {
  const wrapped = async (...args: unknown[]) => {
    const result = (await inner(args[0])) as object;
    return { ...result, headers: { "x-wrapped": "yes" } };
  };
  wrapped.use = () => wrapped;
  return wrapped;
};
export const handler = wrap(async () => ({ statusCode: 200, body: "inner" })).use();
