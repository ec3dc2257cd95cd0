export default async (event: { type: string; data: unknown }) => {
  if (event.type === "none") return;
  return `${event.type}: ${event.data}`;
};
