export default {
  async fetch(request: Request) {
    const form = await request.formData();
    const file = form.get("file") as File;
    return Response.json({ name: form.get("name"), file: file.name, text: await file.text() });
  },
};
