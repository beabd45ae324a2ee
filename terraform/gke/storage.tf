locals {
  registry_url = one([
    for each in google_artifact_registry_repository.images :
    "${each.location}-docker.pkg.dev/${var.project_id}/${each.repository_id}"
  ])

  # Whom a bucket sees when a worker asks.
  workers_member = var.enable_workload_identity ? google_service_account.workers.member : google_service_account.nodes.member

  bucket_name = var.gcs_bucket_name != "" ? var.gcs_bucket_name : "${var.project_id}-${var.cluster_name}-models"
}

resource "google_storage_bucket" "models" {
  count = var.create_model_cache ? 1 : 0

  project                     = var.project_id
  name                        = local.bucket_name
  location                    = var.model_cache_location != "" ? var.model_cache_location : var.region
  storage_class               = var.model_cache_storage_class
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = var.labels

  versioning {
    enabled = var.model_cache_versioning_enabled
  }

  lifecycle_rule {
    condition {
      age            = var.model_cache_payload_expiration_days
      matches_prefix = ["payloads/"]
    }
    action {
      type = "Delete"
    }
  }

  dynamic "encryption" {
    for_each = var.model_cache_kms_key_name == "" ? [] : [true]
    content {
      default_kms_key_name = var.model_cache_kms_key_name
    }
  }
}

# Workers read what others fetched and add what they fetch.
resource "google_storage_bucket_iam_member" "workers" {
  count = var.create_model_cache ? 1 : 0

  bucket = google_storage_bucket.models[0].name
  role   = "roles/storage.objectUser"
  member = local.workers_member
}

resource "google_artifact_registry_repository" "images" {
  count = var.create_artifact_registry ? 1 : 0

  project       = var.project_id
  location      = var.artifact_registry_location != "" ? var.artifact_registry_location : var.region
  repository_id = "${var.cluster_name}-images"
  format        = "DOCKER"
  labels        = var.labels
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  count = var.create_artifact_registry ? 1 : 0

  project    = var.project_id
  location   = google_artifact_registry_repository.images[0].location
  repository = google_artifact_registry_repository.images[0].name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}
