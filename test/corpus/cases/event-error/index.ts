export const handler = async (event: { a?: number }) => {
  if (event.a === undefined) throw new RangeError("no a");
  return event.a;
};
