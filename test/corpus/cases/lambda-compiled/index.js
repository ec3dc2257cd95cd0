"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.lambdaHandler = void 0;
const lambdaHandler = async (event) => ({ statusCode: 200, body: JSON.stringify({ message: "hello world" }) });
exports.lambdaHandler = lambdaHandler;
