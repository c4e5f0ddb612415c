"""What a task is. A new kind: one file and one name here; whatever asks for a task's `kind` must then know it."""

from typing import Annotated

from minbert.tasks.classes import Classes
from minbert.tasks.data import Find, Split, TaskData, load_task
from minbert.tasks.rating import Rating
from minbert.tasks.task import Task
from minbert.tasks.yes_no import YesNo
from minbert.values import Family

AnyTask = Annotated[Task, Family(Classes, YesNo, Rating)]

__all__ = ["AnyTask", "Classes", "Find", "Rating", "Split", "Task", "TaskData", "YesNo", "load_task"]
