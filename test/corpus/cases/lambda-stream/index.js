exports.handler=awslambda.streamifyResponse(async(e,s)=>{s.write("hi");s.end()})
