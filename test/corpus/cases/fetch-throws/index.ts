export default { fetch(): Response { throw new RangeError("too far"); } };
