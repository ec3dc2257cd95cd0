module.exports=(a,b)=>{b.statusCode=203;b.end("short "+a.url)}
