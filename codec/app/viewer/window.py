"""The window, by tkinter. Importing this raises ImportError where that is missing."""

import tkinter
from collections.abc import Callable, Sequence
from functools import partial

from PIL import ImageTk

from codec.app.reporting import printable
from codec.app.screen import Shown
from codec.app.viewer.view import View, dragged, drawn, fitted, zoomed

STEP = 1.25  # of the zoom
BACKGROUND, TEXT = "#202020", "#e0e0e0"
SHARE_OF_SCREEN = 0.8
SIDE_MIN_PX = 320
FAULT_SIZE = (640, SIDE_MIN_PX)
BEAT_MS = 200  # how often Python may look for signals
Load = Callable[[str], Shown | str]  # or why it cannot be shown


class Window:
    """Shows one of several pictures."""

    def __init__(self, names: Sequence[str], load: Load) -> None:
        """tkinter.TclError if there is no display."""
        self.names, self.load, self.number = names, load, 0
        self.root = tkinter.Tk(className="Aecodec")
        self.canvas = tkinter.Canvas(self.root, bg=BACKGROUND, highlightthickness=0)
        self.canvas.pack(fill="both", expand=True)
        self.shown: Shown | None = None
        self.fault = ""  # why there is none
        self.photo: ImageTk.PhotoImage | None = None  # Tk itself would lose it
        self.view, self.fits, self.grip = View(0, 0, 1), True, (0, 0)
        self.bind()

    def bind(self) -> None:
        """Keys and mouse as they are in other viewers."""
        actions: dict[str, Callable[[], None]] = {
            "plus equal KP_Add": lambda: self.zoom(STEP),
            "minus KP_Subtract": lambda: self.zoom(1 / STEP),
            "1 KP_1": lambda: self.zoom(1 / self.view.zoom),
            "0 KP_0": self.fit,
            "Right Next space": lambda: self.turn(1),
            "Left Prior BackSpace": lambda: self.turn(-1),
            "Escape q": self.root.destroy,
        }
        for keys, action in actions.items():
            for key in keys.split():
                self.root.bind(f"<Key-{key}>", partial(self.act, action))
        for event in ("<MouseWheel>", "<Button-4>", "<Button-5>"):  # the last of X11
            self.canvas.bind(event, self.roll)
        self.canvas.bind("<ButtonPress-1>", self.take)
        self.canvas.bind("<B1-Motion>", self.drag)
        self.canvas.bind("<Configure>", partial(self.act, self.draw))

    def act(self, action: Callable[[], None], event: object) -> None:
        action()

    def run(self) -> None:
        """Show the first picture, and return when the window is closed."""
        self.open()
        screen = self.root.winfo_screenwidth(), self.root.winfo_screenheight()
        wanted = self.shown.image.size if self.shown else FAULT_SIZE
        sides = [
            max(SIDE_MIN_PX, min(side, round(SHARE_OF_SCREEN * room)))
            for side, room in zip(wanted, screen, strict=True)
        ]
        self.root.geometry("{}x{}".format(*sides))
        self.beat()
        self.root.mainloop()

    def beat(self) -> None:
        self.root.after(BEAT_MS, self.beat)

    def open(self) -> None:
        name = self.names[self.number]
        self.root.title(printable(f"{name} ..."))
        self.root.update_idletasks()
        loaded = self.load(name)
        self.shown = loaded if isinstance(loaded, Shown) else None
        self.fault = printable(loaded) if isinstance(loaded, str) else ""
        self.root.title(printable(self.shown.title if self.shown else name))
        self.fit()

    def turn(self, step: int) -> None:
        """Open the next picture, or the one before."""
        number = min(max(self.number + step, 0), len(self.names) - 1)
        if number != self.number:
            self.number = number
            self.open()

    @property
    def size(self) -> tuple[int, int]:
        return self.canvas.winfo_width(), self.canvas.winfo_height()

    def fit(self) -> None:
        self.fits = True
        self.draw()

    def zoom(self, factor: float, x: float = 0, y: float = 0) -> None:
        if self.shown:
            size = self.shown.image.size
            self.view = zoomed(self.view, factor, x, y, size, self.size)
            self.fits = self.view == fitted(size, self.size)
            self.draw()

    def roll(self, event: "tkinter.Event[tkinter.Canvas]") -> None:
        """Zoom where the mouse points to."""
        larger = event.num == 4 or event.delta > 0  # as X11 has it, and others
        width, height = self.size
        x, y = event.x - width / 2, event.y - height / 2
        self.zoom(STEP if larger else 1 / STEP, x, y)

    def take(self, event: "tkinter.Event[tkinter.Canvas]") -> None:
        self.grip = event.x, event.y

    def drag(self, event: "tkinter.Event[tkinter.Canvas]") -> None:
        if self.shown:
            x, y = event.x - self.grip[0], event.y - self.grip[1]
            self.view = dragged(self.view, x, y, self.shown.image.size, self.size)
            self.take(event)
            self.draw()

    def draw(self) -> None:
        self.canvas.delete("all")
        width, height = self.size
        if not self.shown:
            middle, inside = (width / 2, height / 2), 0.9 * width
            self.canvas.create_text(middle, text=self.fault, fill=TEXT, width=inside)
            return
        if self.fits:
            self.view = fitted(self.shown.image.size, self.size)
        part, place = drawn(self.shown.image, self.view, self.size)
        self.photo = ImageTk.PhotoImage(part)
        self.canvas.create_image(*place, image=self.photo, anchor="nw")
