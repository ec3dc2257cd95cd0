export default async()=>({status:200,body:"hi"})
