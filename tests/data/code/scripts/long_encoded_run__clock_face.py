"""Shows the time in a window with a painted clock face."""

import base64
import math
import time
import tkinter as tk

SIZE = 240
CENTRE = SIZE / 2
FACE = """
o4CcpHvR7QSO2F2mijn819HcyjWYc/ckyav/UTPWClFDkCz89pinMJU+Rf5ceHbRPHIn/mN38nX8
PNL1bU9wXsOIDYdbkvYqxqeUPcQmJHVUM2u8hMIi4UDQGKgPrtfVVUsEkGFoeK1J/mzlPhAChMvF
/4ICvcIXCEb2mEsGnSMWLvLcU8Tp9GwcSZFgCxmWQtaCRPj7kfuOwVGChvGG/JFPzlRaiv0N/2Cf
x85NMxPEb5lT95XAZZfZnHG6JwtSwN5pT2qRPpP9+706iTzM0tlcdvEXgg6uweacmk6iUbk8bZvJ
xlv0d8PnRuX6fc60kOaT81xgoY0qcD3bukirqCNrYJiYWjAIE3b4QJCjNgyKqPXbl/1zmJQHQL7o
S8sB+fwR9vTMgRVw/7J2t+04junGH+D3zWBccddkeaqevN0Deq8yNL3VK+Qgt1JMDCB0hYaKD0F/
sAJzcu7dVGBpfVDzgFjo4QK2hjy7Kk07XaHx8M7lBbX7Wv67emDTbo2ZK7cxTFrMQZF3kv05WdZh
AHFB8vrEn3atdlLtsmqCRYUirpxJoQFumsUjycyJ4LZWzsLeJsNA2lNYlczFL2sKnoxF/YzaIn58
Bf/XmzwkFlyXc59vfrynHzgvRtyAJygG1265i+olstziyi7da6rXYVbsGWY2wNU8mzQ/BTk5fMHc
1w9KJrTQilM6otCAffruYIcesr21Qqc+kvlEFbhGf5iPUuR0tB3ClqLI6vs4alC0Aa4/DChFiXIn
LjsPjZSlj5hUhLqdpclAQYjK2IiXIz6mTMsu8FywYoCSxfpUhKL6GpzBOstsXd3gRd6inqLWwcto
eCj6Os+upb8TzA0Ve626zjc60suCls3JPQf1tFP2HossNFVL8XSoIVZOIQxHSyDJ+KXEB4IFgnsb
+9UprTB4Cg6Dr5fZ5yFaMhxehfXdbMOjr0t03VM58ZeTGkSvfCfwbllgOER0vt4WGKjSRLoOK/nV
im4Pqu4qg7rFXH0fp8Ho5Dv7G0dUN++/w0zP8GFCbmCWDbhOV4w53i6GWihLmlpgyBJEC5/2/Lim
Cba9oW3gNiwx1LjYovWu3wlNtb0QP/Xtr//Yx+1lm0FpAS5Ri6GESxyj269ZT9sBjeAQstmtDJcV
oQgnk7UEbMCHHft7GpSsa5PQSQY3jXDsMwRRmeEBGmb6OGQE1B9qprz6xQhBDMYdu0CiMcO7NyCq
DIopLfEEopqlwu2H4zv0Rm1+n7rG1RP6o6J1MVV7nwIeSg24N5K5QuE/FxSUlGtioVLz7VA+I8Im
Mr7DVYcX
"""


def hand(canvas: tk.Canvas, turns: float, *, length: float, width: int, colour: str) -> None:
    """Draw one hand; `turns` is how far it has come round, in [0, 1)."""
    angle = 2 * math.pi * turns - math.pi / 2
    x = CENTRE + length * math.cos(angle)
    y = CENTRE + length * math.sin(angle)
    canvas.create_line(CENTRE, CENTRE, x, y, width=width, fill=colour, capstyle="round", tags="hand")


class Clock(tk.Tk):
    """A window that redraws its hands twice a second."""

    def __init__(self) -> None:
        super().__init__()
        self.title("clock")
        self.resizable(False, False)
        self.canvas = tk.Canvas(self, width=SIZE, height=SIZE, highlightthickness=0)
        self.canvas.pack()
        self.face = tk.PhotoImage(data=base64.b64encode(base64.b64decode(FACE)))
        self.canvas.create_image(CENTRE, CENTRE, image=self.face)
        self.tick()

    def tick(self) -> None:
        now = time.localtime()
        seconds = now.tm_sec + time.time() % 1
        minutes = now.tm_min + seconds / 60
        hours = now.tm_hour % 12 + minutes / 60
        self.canvas.delete("hand")
        hand(self.canvas, hours / 12, length=58, width=6, colour="black")
        hand(self.canvas, minutes / 60, length=84, width=4, colour="black")
        hand(self.canvas, seconds / 60, length=92, width=1, colour="firebrick")
        self.after(500, self.tick)


if __name__ == "__main__":
    Clock().mainloop()
