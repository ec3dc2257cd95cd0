var t=1; delete t; exports.handler=async()=>({statusCode:200,body:String(t)})
