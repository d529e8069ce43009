"""Addresses of the pages; backend/urls.py includes them by name."""

from django.urls import path

from annotator_ui import views

urlpatterns = [
    path("", views.shell("next"), name="next"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("words/<str:language>.js", views.words, name="words"),
    path("select/", views.shell("select"), name="select"),
    path("compare/", views.shell("compare"), name="compare"),
    path("align/", views.shell("align"), name="align"),
    path("art/", views.shell("art"), name="art"),
    path("review/", views.shell("review"), name="review"),
    path("batches/", views.shell("batches"), name="batches"),
    path("batches/<int:batch>/", views.shell("batches_one"), name="batch"),
    path("releases/", views.shell("releases"), name="releases"),
    path("models/", views.shell("models"), name="models"),
    path("progress/", views.shell("progress"), name="progress"),
    path("preferences/", views.shell("preferences"), name="preferences"),
    path("practice/", views.shell("practice"), name="practice"),
]
