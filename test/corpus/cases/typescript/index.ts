enum Size { Small = 1, Large }
namespace Names { export const large = Size[Size.Large]; }
class Box { constructor(private readonly size: Size) {} toString() { return Names.large + this.size; } }
export default () => String(new Box(Size.Large)) satisfies string;
