const settings: { a?: { b: string } } = {};
export const b = settings.a!.b;
export default () => b;
