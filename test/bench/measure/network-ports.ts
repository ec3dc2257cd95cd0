/**
 * Ports of the servers of the suite `egress`: what comes is sent back; what comes is dropped, and
 * its end is answered; as many bytes come as are asked for.
 */
export const SERVER_PORTS = { echo: 7000, sink: 7001, source: 7002 } as const;
