export const handler = async (event: { Records: { messageId: string; body: string }[] }) => ({
  batchItemFailures: event.Records.filter(({ body }) => JSON.parse(body).bad).map(({ messageId }) => ({ itemIdentifier: messageId })),
});
