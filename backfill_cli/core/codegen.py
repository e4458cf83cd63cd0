"""How a field's syntax tree becomes Python: each `{{ … }}` guarded by itself, all that can grow paid for.

Owns Jinja's code generator for fields. What the generated code calls (`join_text`, `weigh`) lives in `core/sandbox.py`.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators


class FieldCodeGenerator(CodeGenerator):
    """Yields literal text as `str` and each `{{ … }}` as `(number, value)`: one undefined name spoils no other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outputs = 0

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802 - Jinja's visitor naming
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                text = repr(child.data)
                self.writeline(f"yield {text}" if frame.buffer is None else f"{frame.buffer}.append({text})", child)
            elif frame.buffer is None:
                self._guarded(child, frame)
                self.outputs += 1
            else:  # inside {% set x %}…{% endset %}: an undefined name is an error there, as in any {% %}
                self.writeline(f"{frame.buffer}.append(environment.join_text(context, (", child)
                self.visit(child, frame)
                self.write(",)))")
                self.outputs += 1

    def _guarded(self, child: nodes.Expr, frame: Frame) -> None:
        number = self.outputs
        self.writeline("try:", child)
        self.indent()
        self.writeline(f"yield ({number}, ")
        self.visit(child, frame)
        self.write(")")
        self.outdent()
        self.writeline("except environment.undefined_error:")
        self.indent()
        self.writeline(f"yield ({number}, environment.left_alone)")
        self.outdent()
        self.writeline("except Exception as error:")
        self.indent()
        self.writeline(f"raise environment.expression_error({number}) from error")
        self.outdent()

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.join_text(context, (")
        for arg in node.nodes:
            self.visit(arg, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        self.write("(context.pay(")
        self.visit(node.expr, frame)
        self.write(")")
        for operand in node.ops:
            self.visit(operand, frame)
        self.write(")")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:  # noqa: N802
        self.write(f" {operators[node.op]} context.pay(")
        self.visit(node.expr, frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        is_slice = isinstance(node.arg, nodes.Slice)  # a copy, which Jinja makes without asking the environment
        self.write("context.weigh(" if is_slice else "")
        super().visit_Getitem(node, frame)
        self.write(")" if is_slice else "")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self.write("context.weigh(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self.write("context.weigh(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "store":
            super().visit_Tuple(node, frame)
            return
        self.write("context.weigh(")
        super().visit_Tuple(node, frame)
        self.write(")")
