export const GET = () => "hi";
export const POST = () => "hi";
